"""The studio: a page on this machine that looks into networks. A server that asks, and workers that answer."""
