"""GAN2Shape in JAX: 3D shape from a single image and a 2D GAN."""
