"""The HTTP applications of the three ports.

public        beside the streams: a page for people, acknowledgements, 404
acknowledge   keeps the position a client acknowledges
publish       loopback: events come in, streams are listed and ended
admin         probes, the preStop hook, metrics and status
"""
