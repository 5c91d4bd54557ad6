//! The names of the directory tree: live, durable, and the changes between.
//!
//! Invariants: a file has at most one name on each side; the changes are in the order in which
//! they were made, and no change overtakes an earlier one of the same name.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::chance::{Chance, Fate};
use super::machine::FileId;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Directory,
    File(FileId),
}

type Tree = BTreeMap<PathBuf, Node>;

/// The root itself has no name and always lasts.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    live: Tree,
    durable: Tree,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
struct Change {
    effect: Effect,
    /// The directories whose sync it still needs: one, or both of a move.
    needs: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug)]
enum Effect {
    Appear(PathBuf, Node),
    Vanish(PathBuf, FileId),
    Move {
        from: PathBuf,
        to: PathBuf,
        file: FileId,
    },
}

impl Names {
    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        if path.as_os_str().is_empty() {
            return Some(Node::Directory);
        }
        self.live.get(path).copied()
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<FileId> {
        match self.node(path) {
            Some(Node::File(id)) => Ok(id),
            Some(Node::Directory) => Err(ErrorKind::IsADirectory.into()),
            None => self
                .parent_exists(path)
                .and(Err(ErrorKind::NotFound.into())),
        }
    }

    /// The file that certainly has this name after a power failure.
    pub(super) fn durable_file(&self, path: &Path) -> Option<FileId> {
        match self.durable.get(path) {
            Some(Node::File(id)) if reachable(&self.durable, path) => Some(*id),
            _ => None,
        }
    }

    pub(super) fn is_directory(&self, path: &Path) -> io::Result<()> {
        match self.node(path) {
            Some(Node::Directory) => Ok(()),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => self
                .parent_exists(path)
                .and(Err(ErrorKind::NotFound.into())),
        }
    }

    pub(super) fn parent_exists(&self, path: &Path) -> io::Result<()> {
        // Only the root has no parent, and it exists.
        path.parent()
            .map_or(Ok(()), |parent| self.is_directory(parent))
    }

    pub(super) fn list(&self, directory: &Path) -> io::Result<Vec<String>> {
        self.is_directory(directory)?;
        let inside = self
            .live
            .keys()
            .filter(|path| path.parent() == Some(directory));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        let named = self
            .live
            .iter()
            .filter(|(_, node)| matches!(node, Node::File(_)));
        named.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn appear(&mut self, path: PathBuf, node: Node) {
        self.change([parent(&path)].into(), Effect::Appear(path, node));
    }

    pub(super) fn vanish(&mut self, path: PathBuf, file: FileId) {
        self.change([parent(&path)].into(), Effect::Vanish(path, file));
    }

    pub(super) fn rename(&mut self, from: PathBuf, to: PathBuf, file: FileId) {
        let needs = [parent(&from), parent(&to)].into();
        self.change(needs, Effect::Move { from, to, file });
    }

    fn change(&mut self, needs: BTreeSet<PathBuf>, effect: Effect) {
        effect.apply(&mut self.live);
        self.unsynced.push(Change { effect, needs });
    }

    /// Makes the changes of one directory last.
    pub(super) fn sync(&mut self, directory: &Path) {
        for change in &mut self.unsynced {
            change.needs.remove(directory);
        }
        self.settle();
    }

    /// Some changes of one directory become durable now, the others never.
    pub(super) fn fail_sync(&mut self, directory: &Path, chance: &mut Chance) {
        let mut fate = Fate::draw(chance, self.unsynced.len() as u64);
        for change in &mut self.unsynced {
            if change.needs.contains(directory) && fate.keeps() {
                change.needs.clear();
            }
        }
        self.settle();
        self.unsynced
            .retain(|change| !change.needs.contains(directory));
    }

    /// Makes the changes last that need no directory any more.
    fn settle(&mut self) {
        // From the newest: a change that still needs a directory goes along if a name that it
        // touched changed again and that later change is made to last.
        let mut touched = BTreeSet::new();
        for change in self.unsynced.iter_mut().rev() {
            let paths = change.effect.paths();
            if paths.iter().any(|path| touched.contains(*path)) {
                change.needs.clear();
            }
            if change.needs.is_empty() {
                touched.extend(paths.into_iter().cloned());
            }
        }
        for change in self
            .unsynced
            .extract_if(.., |change| change.needs.is_empty())
        {
            change.effect.apply(&mut self.durable);
        }
    }

    /// The tree after a power failure.
    pub(super) fn after_power_failure(&self, chance: &mut Chance) -> Self {
        let mut fate = Fate::draw(chance, self.unsynced.len() as u64);
        let mut tree = self.durable.clone();
        for change in &self.unsynced {
            if fate.keeps() {
                change.effect.apply(&mut tree);
            }
        }
        let live: Tree = tree
            .iter()
            .filter(|(path, _)| reachable(&tree, path))
            .map(|(path, node)| (path.clone(), *node))
            .collect();
        Self {
            durable: live.clone(),
            live,
            unsynced: Vec::new(),
        }
    }

    /// Every file that has a name now.
    pub(super) fn live_files(&self) -> BTreeSet<FileId> {
        self.live.values().copied().filter_map(Node::file).collect()
    }

    /// Every file that has a name, had one, or may have one after a power failure.
    pub(super) fn referenced(&self) -> BTreeSet<FileId> {
        let nodes = self.live.values().chain(self.durable.values()).copied();
        let changed = self.unsynced.iter().map(|change| change.effect.node());
        nodes.chain(changed).filter_map(Node::file).collect()
    }
}

impl Node {
    const fn file(self) -> Option<FileId> {
        match self {
            Self::File(id) => Some(id),
            Self::Directory => None,
        }
    }
}

impl Effect {
    fn apply(&self, tree: &mut Tree) {
        match self {
            Self::Appear(path, node) => {
                tree.insert(path.clone(), *node);
            }
            Self::Vanish(path, file) => {
                tree.remove(path);
                // Under an older name too, if the move away from it was lost.
                tree.retain(|_, node| *node != Node::File(*file));
            }
            Self::Move { from, to, file } => {
                tree.remove(from);
                tree.retain(|_, node| *node != Node::File(*file));
                tree.insert(to.clone(), Node::File(*file));
            }
        }
    }

    fn paths(&self) -> Vec<&PathBuf> {
        match self {
            Self::Appear(path, _) | Self::Vanish(path, _) => vec![path],
            Self::Move { from, to, .. } => vec![from, to],
        }
    }

    const fn node(&self) -> Node {
        match self {
            Self::Appear(_, node) => *node,
            Self::Vanish(_, file) | Self::Move { file, .. } => Node::File(*file),
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// Whether every directory above is there.
fn reachable(tree: &Tree, path: &Path) -> bool {
    path.ancestors()
        .skip(1)
        .filter(|above| !above.as_os_str().is_empty())
        .all(|above| tree.get(above) == Some(&Node::Directory))
}
