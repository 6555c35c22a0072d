import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from gan2shape_jax.data import (
  as_w_plus,
  list_pictures,
  load_ground_truth,
  load_latent,
  load_picture,
  load_pictures,
)
from gan2shape_jax.errors import UserError
from gan2shape_jax.image_files import beside, open_grey

GAN = {"n_latent": 3, "latent_size": 4}


def save_picture(path, size=8, mode="RGB", seed=0):
  rng = np.random.default_rng(seed)
  pixels = rng.integers(0, 256, (size, size, 3), np.uint8)
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(pixels).convert(mode).save(path)
  return pixels


# --- lists ------------------------------------------------------------------


def test_list_takes_first_words_relative_to_its_folder(tmp_path):
  for name in ("b", "a"):
    save_picture(tmp_path / f"image/{name}.png")
  listing = tmp_path / "list.txt"
  listing.write_text("image/b.png 0.3 x\n\nimage/a.png\n")
  names = [p.name for p in list_pictures(listing)]
  assert names == ["b.png", "a.png"]


def test_folder_lists_pictures_but_not_their_masks(tmp_path):
  for name in ("b.png", "a.JPG", "a_mask.png", "c.jpeg"):
    save_picture(tmp_path / name)
  (tmp_path / "notes.txt").write_text("x")
  names = [p.name for p in list_pictures(tmp_path)]
  assert names == ["a.JPG", "b.png", "c.jpeg"]


def test_single_picture(tmp_path):
  save_picture(tmp_path / "a.png")
  assert list_pictures(tmp_path / "a.png") == [tmp_path / "a.png"]


def test_all_missing_entries_are_named(tmp_path):
  save_picture(tmp_path / "a.png")
  listing = tmp_path / "list.txt"
  listing.write_text("a.png\nb.png\nc.png\n")
  with pytest.raises(UserError, match=r"2 of 3 .*b\.png.*c\.png"):
    list_pictures(listing)


def test_long_lists_of_problems_are_cut(tmp_path):
  listing = tmp_path / "list.txt"
  listing.write_text("".join(f"{i}.png\n" for i in range(30)))
  with pytest.raises(UserError, match=r"30 of 30.*19\.png, and 10 more$"):
    list_pictures(listing)


@pytest.mark.parametrize(
  "content, message",
  [
    (None, "does not exist"),
    (b" \n", "names no pictures"),
    (b"\xff\xd8\xff", "not a list of pictures"),
  ],
)
def test_unusable_lists(tmp_path, content, message):
  listing = tmp_path / "list.txt"
  if content is not None:
    listing.write_bytes(content)
  with pytest.raises(UserError, match=rf"list\.txt: .*{message}"):
    list_pictures(listing)


def test_empty_folder_and_repeated_names(tmp_path):
  with pytest.raises(UserError, match="no PNG or JPEG"):
    list_pictures(tmp_path)
  save_picture(tmp_path / "a.png")
  save_picture(tmp_path / "a.jpg")
  with pytest.raises(UserError, match=r"by file name.*: a$"):
    list_pictures(tmp_path)


# --- pictures ---------------------------------------------------------------


def test_values_survive_without_resizing(tmp_path):
  pixels = save_picture(tmp_path / "a.png")
  picture = load_picture(tmp_path / "a.png", image_size=8, **GAN)
  np.testing.assert_allclose(picture.image, pixels / 127.5 - 1, atol=1e-6)
  np.testing.assert_array_equal(picture.mask, 1)
  assert picture.image.dtype == np.float32
  assert picture.latent is None and picture.ground_truth is None


@pytest.mark.parametrize("mode", ["L", "P", "1", "CMYK"])
def test_every_mode_becomes_rgb(tmp_path, mode):
  suffix = "jpg" if mode == "CMYK" else "png"
  save_picture(tmp_path / f"a.{suffix}", mode=mode)
  picture = load_picture(tmp_path / f"a.{suffix}", image_size=8, **GAN)
  assert picture.image.shape == (8, 8, 3)


def test_16_bit_grey_keeps_its_scale(tmp_path):
  grey = np.full((8, 8), 257 * 100, np.uint16)
  Image.fromarray(grey).save(tmp_path / "a.png")
  picture = load_picture(tmp_path / "a.png", image_size=8, **GAN)
  np.testing.assert_allclose(picture.image, 100 / 127.5 - 1, atol=1e-6)


def test_transparency_is_composited_on_black(tmp_path):
  rgba = np.full((8, 8, 4), 200, np.uint8)
  rgba[:, :4, 3], rgba[:, 4:, 3] = 0, 255
  Image.fromarray(rgba).save(tmp_path / "a.png")
  image = load_picture(tmp_path / "a.png", image_size=8, **GAN).image
  np.testing.assert_array_equal(image[:, :4], -1)
  np.testing.assert_allclose(image[:, 4:], 200 / 127.5 - 1, atol=1e-6)


@pytest.mark.parametrize("colour", [0, 255])
def test_a_mask_may_be_a_picture_that_is_cut_out(tmp_path, colour):
  alpha = np.zeros((4, 4), np.uint8)
  alpha[1:3] = 255
  rgba = np.dstack([np.full((4, 4, 3), colour, np.uint8), alpha])
  Image.fromarray(rgba).save(tmp_path / "mask.png")
  mask = np.asarray(open_grey(tmp_path / "mask.png"))
  np.testing.assert_array_equal(mask, alpha / 255)


def test_crop_is_central_and_resize_antialiased(tmp_path):
  pixels = np.zeros((10, 12, 3), np.uint8)
  pixels[1:9, 2:10] = 100 * (np.indices((8, 8)).sum(0) % 2)[..., None]
  Image.fromarray(pixels).save(tmp_path / "a.png")
  picture = load_picture(tmp_path / "a.png", image_size=2, crop=8, **GAN)
  # A checkerboard averages to its mean; point sampling would alias.
  np.testing.assert_allclose(picture.image, 50 / 127.5 - 1, atol=0.02)
  assert picture.source_size == 12


def test_upright_as_the_camera_was_held(tmp_path):
  picture = Image.new("RGB", (8, 8))
  picture.paste((255, 255, 255), (0, 0, 8, 4))
  exif = Image.Exif()
  exif[0x0112] = 3  # turned by 180 degrees
  picture.save(tmp_path / "a.jpg", exif=exif)
  image = load_picture(tmp_path / "a.jpg", image_size=8, **GAN).image
  assert image[0].mean() < -0.9 and image[-1].mean() > 0.9


def test_unusable_pictures_are_all_named(tmp_path):
  save_picture(tmp_path / "small.png", size=6)
  save_picture(tmp_path / "good.png")
  (tmp_path / "text.png").write_text("no picture")
  data = (tmp_path / "good.png").read_bytes()
  (tmp_path / "short.png").write_bytes(data[: len(data) // 2])
  names = ("small", "good", "text", "short", "none")
  paths = [tmp_path / f"{name}.png" for name in names]
  with pytest.raises(UserError) as caught:
    load_pictures(paths, image_size=4, crop=8, **GAN)
  message = str(caught.value)
  assert "\n" not in message
  for part in (
    "small.png: 6x6 px is smaller than the crop of 8 px",
    "text.png: cannot be read",
    "short.png: cannot be read",
    "none.png: does not exist",
  ):
    assert part in message
  assert "good.png" not in message


def test_picture_that_is_not_square_needs_a_crop(tmp_path):
  Image.new("RGB", (12, 8)).save(tmp_path / "a.png")
  with pytest.raises(UserError, match=r"12x8 px is not square.* 8 or less"):
    load_picture(tmp_path / "a.png", image_size=8, **GAN)


# --- companions -------------------------------------------------------------


@pytest.mark.parametrize(
  "path, expected",
  [
    ("data/image/0.png", "data/depth/0.png"),
    ("image/set/image/0.png", "image/set/depth/0.png"),
    ("my_images/image/a/image.png", "my_images/depth/a/image.png"),
    ("pictures/0.png", "pictures/depth/0.png"),
  ],
)
def test_only_the_folder_component_is_replaced(tmp_path, path, expected):
  assert beside(tmp_path / path, "depth") == tmp_path / expected


@pytest.mark.parametrize("dtype, top", [(np.uint8, 255), (np.uint16, 65535)])
def test_ground_truth_depth(tmp_path, dtype, top):
  values = np.zeros((8, 8), dtype)
  values[2:6, 2:6] = top
  values[3, 3] = top // 2
  (tmp_path / "depth").mkdir()
  Image.fromarray(values).save(tmp_path / "depth/a.png")
  truth = load_ground_truth(
    tmp_path / "image/a.png",
    (8, 8),
    image_size=8,
    depth_min=0.8,
    depth_max=1.4,
  )
  expected = 1.4 - 0.6 * values / top
  np.testing.assert_allclose(truth.depth, expected, atol=1e-6)
  np.testing.assert_array_equal(truth.mask, values > 0)
  assert truth.depth.dtype == np.float32


def test_ground_truth_of_three_channels(tmp_path):
  grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
  (tmp_path / "depth").mkdir()
  Image.fromarray(grey).convert("RGB").save(tmp_path / "depth/a.png")
  truth = load_ground_truth(tmp_path / "image/a.png", (8, 8), image_size=8)
  np.testing.assert_allclose(truth.depth, 1.1 - 0.2 * grey / 255, atol=1e-6)


@pytest.mark.parametrize(
  "size, level, message",
  [
    (None, 0, r"depth.a\.png is missing"),
    (9, 9, r"is 9x9 px but its picture is 8x8"),
    (8, 0, r"is all background"),
  ],
)
def test_unusable_ground_truth(tmp_path, size, level, message):
  (tmp_path / "depth").mkdir()
  if size:
    Image.new("L", (size, size), level).save(tmp_path / "depth/a.png")
  with pytest.raises(UserError, match=message):
    load_ground_truth(tmp_path / "image/a.png", (8, 8), image_size=8)


def test_picture_with_everything(tmp_path):
  save_picture(tmp_path / "image/a.png")
  for folder in ("mask", "depth"):
    (tmp_path / folder).mkdir()
    Image.new("L", (8, 8), 255).save(tmp_path / folder / "a.png")
  (tmp_path / "latents").mkdir()
  np.save(tmp_path / "latents/a.npy", np.arange(4.0))
  picture = load_picture(
    tmp_path / "image/a.png",
    image_size=4,
    mask="file",
    latents=tmp_path / "latents",
    ground_truth=True,
    **GAN,
  )
  np.testing.assert_array_equal(picture.mask, np.ones((4, 4)))
  np.testing.assert_allclose(picture.ground_truth.depth, 0.9, atol=1e-6)
  np.testing.assert_array_equal(picture.latent, [np.arange(4)] * 3)


# --- latents ----------------------------------------------------------------


def test_as_w_plus_of_every_shape():
  row = np.arange(4.0)
  rows = np.arange(12.0).reshape(3, 4)
  for one in (row, row[None], row[None, None]):
    np.testing.assert_array_equal(as_w_plus(one, 3), [row] * 3)
  for many in (rows, rows[None]):
    np.testing.assert_array_equal(as_w_plus(many, 3), rows)
  assert as_w_plus(rows, 3).dtype == np.float32


@pytest.mark.parametrize("shape", [(2, 4), (2, 3, 4), (), (1, 1, 3, 4)])
def test_as_w_plus_refuses_other_shapes(shape):
  with pytest.raises(ValueError, match="shape"):
    as_w_plus(np.zeros(shape), 3)


def test_latent_files(tmp_path):
  rows = np.arange(12, dtype=np.float32).reshape(3, 4)
  np.save(tmp_path / "a.npy", rows.astype(np.float16))
  np.savez(tmp_path / "b.npz", w=rows)
  np.savez(tmp_path / "c.npz", latent=rows, noise=np.zeros(2))
  save_file({"latent": rows}, tmp_path / "d.safetensors")
  for name in "abcd":
    latent = load_latent(tmp_path, name, **GAN)
    np.testing.assert_array_equal(latent, rows)
  assert load_latent(tmp_path, "e", **GAN) is None


def test_unusable_latents(tmp_path):
  np.save(tmp_path / "pickle.npy", np.array([{}]), allow_pickle=True)
  np.save(tmp_path / "rows.npy", np.zeros((2, 4)))
  np.save(tmp_path / "wide.npy", np.zeros((3, 5)))
  np.save(tmp_path / "nan.npy", np.full(4, np.nan))
  np.savez(tmp_path / "keys.npz", a=np.zeros(4), b=np.zeros(4))
  (tmp_path / "zip.npz").write_bytes(b"PK\x03\x04 broken")
  (tmp_path / "empty.npy").write_bytes(b"")
  (tmp_path / "broken.safetensors").write_bytes(b"12")
  for path in tmp_path.iterdir():
    with pytest.raises(UserError, match=f"{path.name}: not a latent"):
      load_latent(tmp_path, path.stem, **GAN)
  with pytest.raises(UserError, match="no such folder"):
    load_latent(tmp_path / "none", "a", **GAN)
