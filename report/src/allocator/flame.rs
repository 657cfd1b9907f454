//! The flame graph of slow calls: boxes in rows, the callers above, as wide as the time that was spent in them.
//!
//! Only the boxes are reckoned here; the page's template draws them as SVG and escapes every name. (`inferno`, which
//! draws the picture that a recording has beside it, brings a script and colours of its own, which a page that
//! allows neither and has two themes cannot take in.) At most some hundred boxes, however many stacks there were.

use indexmap::IndexMap;

use super::stacks::{Place, StackFrame, WeighedStack};

/// The narrowest box, as a share of the whole: one and a half pixels of a thousand.
const NARROWEST: f64 = 0.0015;
/// Boxes at most, the heaviest of them.
const MOST_BOXES: usize = 1_200;
/// Rows at most.
const MOST_ROWS: usize = 40;

/// The picture.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Flame {
    /// In the order of rows, and from left to right.
    pub(crate) boxes: Vec<FlameBox>,
    pub(crate) rows: usize,
    /// Time in all of it, in nanoseconds.
    pub(crate) total_ns: u64,
}

/// A function with its callers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FlameBox {
    /// From the left, 0 to 1.
    pub(crate) left: f64,
    /// 0 to 1.
    pub(crate) width: f64,
    /// From the top, which is everything: 0.
    pub(crate) row: usize,
    pub(crate) name: String,
    pub(crate) place: Option<Place>,
    pub(crate) ns: u64,
    pub(crate) count: u64,
}

#[derive(Default)]
struct Node<'a> {
    ns: u64,
    count: u64,
    children: IndexMap<&'a StackFrame, usize>,
}

impl Flame {
    /// `None` without time in any stack.
    pub(super) fn of<'a>(stacks: impl Iterator<Item = &'a WeighedStack>) -> Option<Flame> {
        let mut nodes = vec![Node::default()];
        for stack in stacks {
            let mut at = 0;
            let frames = stack.frames.iter().rev().take(MOST_ROWS - 1);
            for frame in std::iter::once(None).chain(frames.map(Some)) {
                if let Some(frame) = frame {
                    let next = nodes.len();
                    at = *nodes[at].children.entry(frame).or_insert(next);
                    if at == next {
                        nodes.push(Node::default());
                    }
                }
                let node = &mut nodes[at];
                node.ns = node.ns.saturating_add(stack.weight.ns);
                node.count = node.count.saturating_add(stack.weight.count);
            }
        }
        let total_ns = nodes[0].ns;
        if total_ns == 0 {
            return None;
        }
        let narrowest = (total_ns as f64 * NARROWEST) as u64;
        let left_out = heaviest_left_out(&nodes);
        let mut boxes = Vec::new();
        // Depth first, without recursion: a stack is as deep as a recording says.
        let mut open = vec![(0, 0.0, 0, None)];
        while let Some((at, left, row, frame)) = open.pop() {
            let node: &Node<'_> = &nodes[at];
            let frame: Option<&StackFrame> = frame;
            boxes.push(FlameBox {
                left,
                width: (node.ns as f64 / total_ns as f64).min(1.0 - left),
                row,
                name: frame.map_or_else(|| "all".to_owned(), |frame| frame.name.clone()),
                place: frame.map(|frame| frame.place),
                ns: node.ns,
                count: node.count,
            });
            let mut children: Vec<_> = node.children.iter().collect();
            // The widest first; those of equal weight in the order of their names, so that a page does not change.
            children.sort_by(|(a, x), (b, y)| {
                nodes[**y]
                    .ns
                    .cmp(&nodes[**x].ns)
                    .then_with(|| a.name.cmp(&b.name))
            });
            let mut left = left;
            for (frame, child) in children {
                let ns = nodes[*child].ns;
                if ns > left_out && ns >= narrowest {
                    open.push((*child, left, row + 1, Some(*frame)));
                }
                left += ns as f64 / total_ns as f64;
            }
        }
        boxes.sort_by(|a, b| a.row.cmp(&b.row).then(a.left.total_cmp(&b.left)));
        Some(Flame {
            rows: boxes.last().map_or(0, |last| last.row + 1),
            boxes,
            total_ns,
        })
    }
}

/// The weight of the heaviest box for which there is no room; 0 where there is room for all.
fn heaviest_left_out(nodes: &[Node<'_>]) -> u64 {
    if nodes.len() <= MOST_BOXES {
        return 0;
    }
    let mut weights: Vec<u64> = nodes.iter().map(|node| node.ns).collect();
    weights.sort_unstable_by_key(|ns| std::cmp::Reverse(*ns));
    weights[MOST_BOXES]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::stacks::StackWeight;
    use super::*;

    fn stack(outermost_first: &[&str], ns: u64) -> WeighedStack {
        WeighedStack {
            series: 0,
            weight: StackWeight {
                count: 1,
                ns,
                bytes: 0,
            },
            frames: outermost_first
                .iter()
                .rev()
                .map(|name| StackFrame {
                    name: (*name).to_owned(),
                    place: Place::Program,
                })
                .collect(),
            depth: outermost_first.len(),
            cut: false,
        }
    }

    #[test]
    fn a_box_is_as_wide_as_what_was_spent_below_it_and_lies_under_its_caller() {
        let stacks = [
            stack(&["main", "settle", "munmap"], 60),
            stack(&["main", "settle", "madvise"], 20),
            stack(&["main", "intake"], 20),
        ];
        let flame = Flame::of(stacks.iter()).expect("there was time");
        let found: Vec<_> = flame
            .boxes
            .iter()
            .map(|one| {
                (
                    one.row,
                    one.name.as_str(),
                    (one.left * 100.0).round(),
                    (one.width * 100.0).round(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                (0, "all", 0.0, 100.0),
                (1, "main", 0.0, 100.0),
                (2, "settle", 0.0, 80.0),
                (2, "intake", 80.0, 20.0),
                (3, "munmap", 0.0, 60.0),
                (3, "madvise", 60.0, 20.0),
            ]
        );
        assert_eq!((flame.rows, flame.total_ns), (4, 100));
    }

    #[test]
    fn stacks_without_time_and_no_stacks_make_no_picture() {
        assert_eq!(Flame::of([].into_iter()), None);
        assert_eq!(Flame::of([stack(&["main"], 0)].iter()), None);
    }

    #[test]
    fn very_many_very_deep_stacks_make_a_picture_of_bounded_size() {
        let names: Vec<String> = (0..4_000)
            .map(|number| format!("function {number}"))
            .collect();
        let stacks: Vec<_> = names
            .iter()
            .map(|name| stack(&vec![name.as_str(); 64], u64::MAX / 4_000))
            .collect();
        let flame = Flame::of(stacks.iter()).expect("there was time");
        assert!(flame.boxes.len() <= MOST_BOXES && flame.rows <= MOST_ROWS);
    }

    proptest! {
        #[test]
        fn boxes_of_a_row_never_overlap_and_none_is_wider_than_its_callers(
            stacks in prop::collection::vec((prop::collection::vec(0..4_usize, 0..6), 1..1_000_u64), 1..60),
        ) {
            const NAMES: [&str; 4] = ["a", "b", "c", "d"];
            let stacks: Vec<_> = stacks
                .iter()
                .map(|(frames, ns)| {
                    let names: Vec<&str> = frames.iter().map(|frame| NAMES[*frame]).collect();
                    stack(&names, *ns)
                })
                .collect();
            let flame = Flame::of(stacks.iter()).expect("there was time");
            for pair in flame.boxes.windows(2).filter(|pair| pair[0].row == pair[1].row) {
                prop_assert!(pair[0].left + pair[0].width <= pair[1].left + 1e-9);
            }
            for one in flame.boxes.iter().filter(|one| one.row > 0) {
                let above = flame.boxes.iter().filter(|above| above.row + 1 == one.row);
                let inside = |above: &FlameBox| {
                    above.left <= one.left + 1e-9
                        && above.left + above.width + 1e-9 >= one.left + one.width
                };
                prop_assert!(above.clone().any(inside), "{:?}", one);
            }
        }
    }
}
