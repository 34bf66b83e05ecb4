"""The runs below a folder: found, filtered, sorted, grouped and compared, without opening one of them."""
