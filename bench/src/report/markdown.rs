//! Tables in Markdown.

/// A table; columns of numbers but the first are right-aligned. Columns in which no row says
/// anything are left out.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let says = |column: &usize| {
        let cells = rows.iter().filter_map(|row| row.get(*column));
        cells.into_iter().any(|cell| !cell.is_empty())
    };
    let columns: Vec<_> = (0..head.len()).filter(says).collect();
    let line = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<_> = columns.iter().map(|&column| cell(column)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut table = line(&|column| head[column].to_owned());
    let is_number = |column: usize| {
        let mut cells = rows.iter().filter_map(|row| row.get(column));
        cells.all(|cell| !cell.starts_with(|first: char| first.is_alphabetic() || first == '*'))
    };
    table += &line(&|column| {
        if column > 0 && is_number(column) {
            "---:"
        } else {
            "---"
        }
        .to_owned()
    });
    for row in rows {
        let cell = |column: usize| row.get(column).map_or_else(String::new, |cell| plain(cell));
        table += &line(&cell);
    }
    table
}

/// Text that does not end its cell.
fn plain(cell: &str) -> String {
    cell.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_say_nothing_are_left_out() {
        let rows = [["a", "", "1"], ["b|c", "", ""]].map(|row| row.map(str::to_owned).to_vec());
        let told = table(&["name", "never", "number"], &rows);
        assert_eq!(
            told,
            "| name | number |\n| --- | ---: |\n| a | 1 |\n| b\\|c |  |\n"
        );
    }
}
