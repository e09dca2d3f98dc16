//! Which images are loaded: dyld's list, and what is done where it has none.

mod all_image_infos;
mod image_list;
mod scan;

pub use all_image_infos::AllImageInfos;
pub use image_list::{Images, images};
