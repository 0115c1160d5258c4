"""The steps of the feature jobs: slices and their statistics, training sets, what lists and plans print."""
