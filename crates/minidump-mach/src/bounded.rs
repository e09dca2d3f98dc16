use minidump_snapshot::{SoftError, Stage};

/// The errors, but of each stage only so many: a hostile list of images can make thousands.
pub fn bounded(errors: Vec<SoftError>) -> Vec<SoftError> {
    const MOST_OF_A_STAGE: usize = 100;
    let mut counts: Vec<(Stage, usize)> = Vec::new();
    let mut kept = Vec::with_capacity(errors.len().min(1024));
    for error in errors {
        let index = counts.iter().position(|(stage, _)| *stage == error.stage).unwrap_or(counts.len());
        if index == counts.len() {
            counts.push((error.stage, 0));
        }
        let Some((_, count)) = counts.get_mut(index) else { continue };
        *count = count.saturating_add(1);
        if *count <= MOST_OF_A_STAGE {
            kept.push(error);
        }
    }
    let left_out = counts.into_iter().filter(|(_, count)| *count > MOST_OF_A_STAGE);
    kept.extend(left_out.map(|(stage, count)| {
        SoftError::new(stage, format!("{} more errors of this kind were left out", count - MOST_OF_A_STAGE))
    }));
    kept
}
