"""The images that the cluster's tests run, built from the project's own Dockerfiles with buildah.

A registry of base images is out of reach in a closed network, so the base is made from Debian
packages; everything above it comes from the very Dockerfiles that a release is built from.
"""
