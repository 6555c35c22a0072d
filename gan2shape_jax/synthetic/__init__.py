"""Procedural heads with exact geometry: the ground truth of the project.

This package judges the renderer, so it shares no code with it: nothing here
imports `render` or `models`, and pictures are made by another method (sphere
tracing of a signed-distance field instead of warping a depth map).

Head coordinates: x to the image right, y down, z away from the camera; the
face looks toward -z; one unit is about half the height of a head. The scene
frame is the camera's (x right, y down, z forward, scene units), with the head
at the centre of rotation (0, 0, 1).

Shape letters: h w pixels, n points or rays.
"""
