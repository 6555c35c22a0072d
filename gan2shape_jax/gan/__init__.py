"""Training of a StyleGAN2 on a folder of pictures."""
