"""How raw texts become numbers and ordered levels, in Spark, SQL, pandas and JSON alike."""
