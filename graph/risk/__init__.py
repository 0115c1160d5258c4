"""Risk in the network: contagion, guarantee circles (担保圈), cascades, connected clients."""
