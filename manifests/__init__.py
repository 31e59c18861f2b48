"""Files made from the chart; see `render`."""
