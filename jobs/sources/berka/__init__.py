"""The Berka bank (PKDD 1999): raw files, parsing and mapping to the silver tables."""
