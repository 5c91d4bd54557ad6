//! Iterators over what is fetched part by part, so that memory stays bounded.

/// One after the other of each part, until a part is empty; after an error nothing follows.
pub(crate) fn refilled<T, E>(
    mut fetch: impl FnMut() -> Result<Vec<T>, E>,
) -> impl Iterator<Item = Result<T, E>> {
    let mut page = Vec::new().into_iter();
    let mut over = false;
    std::iter::from_fn(move || {
        if page.len() == 0 && !over {
            match fetch() {
                Ok(fetched) => {
                    over = fetched.is_empty();
                    page = fetched.into_iter();
                }
                Err(error) => {
                    over = true;
                    return Some(Err(error));
                }
            }
        }
        page.next().map(Ok)
    })
}
