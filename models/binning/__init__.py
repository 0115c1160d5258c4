"""WOE binning (分箱): exact counts, merged under a trend, with edges and levels that people can read."""
