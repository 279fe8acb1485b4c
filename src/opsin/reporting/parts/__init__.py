"""From a run's records to plain data: numbers, arrays and texts by key. Nothing here knows HTML."""
