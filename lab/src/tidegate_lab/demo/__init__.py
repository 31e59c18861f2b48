"""`tidegate demo`: three rolling updates of the same fleet, side by side, judged by the goals."""
