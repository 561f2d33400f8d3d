//! `use`: the presets and files a scenario builds on, and those that these build on in their turn, put under its own tree.

use std::path::{Component, Path, PathBuf};

use super::super::error::{At, Source, nearest};
use super::super::node::{Kind, Node};
use super::super::preset::{self, Preset};
use super::super::typed::{OneOrMany, Reader, Spot, Typed};
use super::Surroundings;

/// More of them on top of one another than anybody builds: a link of the file system may hide a circle.
const DEEPEST: usize = 16;

/// Puts what `use` names under the scenario's own tree, the last named on top.
pub(super) fn under(root: Node, around: Option<&Surroundings<'_>>, r: &mut Reader) -> Node {
    Uses { around, open: Vec::new(), done: Vec::new() }.under(root, r)
}

/// What is being read.
struct Uses<'a> {
    around: Option<&'a Surroundings<'a>>,
    /// What is read because of what, from the scenario down: each name, and the folder of the file it stands for.
    open: Vec<(String, PathBuf)>,
    /// What was read to its end.
    done: Vec<String>,
}

impl Uses<'_> {
    fn under(&mut self, tree: Node, r: &mut Reader) -> Node {
        let Kind::Table(entries) = &tree.kind else { return tree };
        let Some(entry) = entries.iter().find(|e| e.key == "use") else { return tree };
        let Some(names) = OneOrMany::<String>::read(&entry.node, r) else { return tree };
        let mut base: Option<Node> = None;
        for name in names.0 {
            let Some(used) = self.one(&name, r) else { continue };
            base = Some(match base {
                Some(below) => preset::merge(below, used),
                None => used,
            });
        }
        match base {
            Some(base) => preset::merge(base, tree),
            None => tree,
        }
    }

    /// The tree of one name, and of what it builds on.
    fn one(&mut self, name: &Spot<String>, r: &mut Reader) -> Option<Node> {
        let shipped = Preset::find(name);
        let place = if shipped.is_some() { PathBuf::from(&name.value) } else { self.file(name, r)? };
        let id = plain(&place).display().to_string();
        if !self.may_be_read(&id, &name.at, r) {
            return None;
        }
        let place_name = place.display().to_string();
        let (title, text) = match shipped {
            Some(preset) => (format!("preset {}", preset.name), preset.text.to_owned()),
            None => {
                let read = self.around.map_or_else(|| Err("files are not read here".into()), |around| (around.file)(&place_name));
                match read {
                    Ok(text) => (place_name, text),
                    Err(error) => {
                        r.fail(&name.at, format!("the preset {place_name} cannot be read: {error}"), "");
                        return None;
                    }
                }
            }
        };
        let source = r.sources.len();
        r.sources.push(Source { name: title, text: text.clone() });
        let (tree, errors) = Node::parse(&text, source);
        for (at, what) in errors {
            r.fail(&at, what, "");
        }
        self.open.push((id.clone(), place.parent().unwrap_or(Path::new("")).to_owned()));
        let tree = self.under(tree, r);
        self.open.pop();
        self.done.push(id);
        Some(tree)
    }

    /// The file a name stands for, beside the file that names it.
    fn file(&self, name: &Spot<String>, r: &mut Reader) -> Option<PathBuf> {
        if name.contains('/') || name.ends_with(".toml") {
            let folder = self.open.last().map_or(Path::new(""), |(_, folder)| folder);
            return Some(folder.join(&name.value));
        }
        let known: Vec<&str> = preset::PRESETS.iter().map(|p| p.name).collect();
        let help = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"? `wsbench presets` lists all"),
            None => format!("one of: {}; or a file such as \"./mine.toml\"", known.join(", ")),
        };
        r.fail(&name.at, format!("there is no preset `{}`", name.value), help);
        None
    }

    /// Whether it is not read already.
    fn may_be_read(&self, id: &str, at: &At, r: &mut Reader) -> bool {
        if let Some(first) = self.open.iter().position(|(open, _)| open == id) {
            let circle: Vec<&str> = self.open[first..].iter().map(|(open, _)| open.as_str()).chain([id]).collect();
            r.fail(at, format!("`{id}` is used by itself: {}", circle.join(" → ")), "a preset may use others, but not itself through them");
        } else if self.done.iter().any(|done| done == id) {
            r.fail(at, format!("`{id}` is used twice: its script would run twice"), "leave one out");
        } else if self.open.len() >= DEEPEST {
            let way: Vec<&str> = self.open.iter().map(|(open, _)| open.as_str()).collect();
            r.fail(at, format!("more than {DEEPEST} presets use one another: {}", way.join(" → ")), "put what they say into fewer files");
        } else {
            return true;
        }
        false
    }
}

/// A path without its `.` and, as far as it can be told without looking, its `..`.
fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
