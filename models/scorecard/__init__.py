"""The scorecard (评分卡): features selected, a logistic regression on WOE, points, reasons, exports."""
