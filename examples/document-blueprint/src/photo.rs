use std::io::Cursor;

use image::imageops::FilterType;
use image::{ImageFormat, ImageResult};
use profiling_core::profile_job;

/// A PNG of the photo that is `width` pixels wide.
///
/// # Errors
///
/// When the photo is neither a JPEG nor a PNG, or damaged.
#[profile_job(
    id = 0,
    params(width = [64, 256]),
    args(include_bytes!("../data/grace_hopper.jpg"), width),
    verify(|png| png.as_ref().is_ok_and(|png| png.starts_with(b"\x89PNG"))),
)]
pub fn thumbnail(photo: &[u8], width: u32) -> ImageResult<Vec<u8>> {
    let photo = image::load_from_memory(photo)?;
    let mut png = Cursor::new(Vec::new());
    photo.resize(width, u32::MAX, FilterType::Lanczos3).write_to(&mut png, ImageFormat::Png)?;
    Ok(png.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::PHOTO;

    #[test]
    fn keeps_the_proportions() {
        let png = thumbnail(PHOTO, 64).expect("a photo");
        let thumbnail = image::load_from_memory_with_format(&png, ImageFormat::Png).expect("a PNG");
        assert_eq!((thumbnail.width(), thumbnail.height()), (64, 75));
    }

    #[test]
    fn refuses_what_is_no_photo() {
        assert!(thumbnail(b"carrier,flight", 64).is_err());
    }
}
