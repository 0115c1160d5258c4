"""Segments and tiers (分层分类): RFM, behaviour clusters, value by risk."""
