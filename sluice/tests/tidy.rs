//! Rules of the repository, as tests: who may depend on whom, which folder may use which library, sizes and names.

#[cfg(test)]
mod rules {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde::Deserialize;

    /// Most lines in a source file.
    const MAX_LINES: usize = 500;

    /// Which of our crates a crate may depend on: in its product, and for its tests besides. A crate that is not listed here
    /// is a mistake; so is an arrow.
    const ARROWS: [(&str, &[&str], &[&str]); 9] = [
        ("proto", &[], &[]),
        ("service-kit", &[], &[]),
        ("migrations", &[], &[]),
        ("graph-client", &[], &["simulator"]),
        ("simulator", &[], &[]),
        ("token-service", &["migrations", "proto", "service-kit"], &["simulator"]),
        (
            "sync-service",
            &["graph-client", "migrations", "proto", "service-kit"],
            &["simulator", "token-service"],
        ),
        (
            "sluice",
            &["migrations", "proto", "service-kit", "simulator", "sync-service", "token-service"],
            &[],
        ),
        ("bench", &["migrations", "proto", "service-kit", "simulator", "sync-service", "token-service"], &[]),
    ];

    /// Crates, each with paths below its `src`.
    type Homes = &'static [(&'static str, &'static [&'static str])];

    /// Which paths below a crate's `src` may name a library; a crate that is not listed may not name it at all. `.` stands for
    /// the whole crate.
    const HOMES: [(&str, Homes); 6] = [
        (
            "sea_orm",
            &[
                ("migrations", &["."]),
                ("service-kit", &["database"]),
                ("sync-service", &["store", "app"]),
                ("token-service", &["store", "app"]),
            ],
        ),
        ("sea_orm_migration", &[("migrations", &["."])]),
        ("aes_gcm", &[("token-service", &["crypto"])]),
        (
            "reqwest",
            &[
                ("graph-client", &["."]),
                ("simulator", &["graph"]),
                ("token-service", &["provider", "webhook"]),
            ],
        ),
        (
            "tonic",
            &[
                ("bench", &["."]),
                ("proto", &["."]),
                ("service-kit", &["server", "status"]),
                ("sluice", &["."]),
                ("sync-service", &["rpc", "app", "tokens", "worker"]),
                ("token-service", &["rpc", "app"]),
            ],
        ),
        (
            "proto",
            &[
                ("bench", &["."]),
                ("sluice", &["."]),
                ("sync-service", &["rpc", "app", "tokens", "worker"]),
                ("token-service", &["rpc", "app"]),
            ],
        ),
    ];

    /// Names that say nothing about what is inside.
    const EMPTY_NAMES: [&str; 8] = ["common", "helper", "helpers", "misc", "mod", "shared", "util", "utils"];

    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }

    #[derive(Deserialize)]
    struct Package {
        name: String,
        manifest_path: PathBuf,
        dependencies: Vec<Dependency>,
    }

    #[derive(Deserialize)]
    struct Dependency {
        name: String,
        /// `None` for the product, `dev` for its tests, `build` for its build script.
        kind: Option<String>,
        /// Set for crates of this workspace.
        path: Option<PathBuf>,
    }

    impl Package {
        fn folder(&self) -> &Path {
            self.manifest_path.parent().unwrap()
        }
    }

    /// A Rust file of the workspace.
    struct Source {
        package: String,
        /// Relative to the folder of the package.
        path: PathBuf,
        text: String,
    }

    impl Source {
        fn name(&self) -> String {
            format!("{}/{}", self.package, self.path.display())
        }

        /// Whether it belongs to the product rather than to its tests.
        fn is_product(&self) -> bool {
            let is_test = self.path.components().any(|part| part.as_os_str() == "tests")
                || self.path.file_stem().is_some_and(|stem| stem == "tests");
            self.path.starts_with("src") && !is_test
        }

        /// Lines of code before the tests, without comments.
        fn product_lines(&self) -> impl Iterator<Item = &str> {
            let lines = self.text.lines().take_while(|line| *line != "#[cfg(test)]");
            lines.filter(|line| !line.trim_start().starts_with("//"))
        }
    }

    fn packages() -> Vec<Package> {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
        let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Metadata>(&output.stdout).unwrap().packages
    }

    fn sources() -> Vec<Source> {
        let mut sources = Vec::new();
        for package in packages() {
            let mut folders = vec![package.folder().to_owned()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
                        folders.push(path);
                    } else if path.extension().is_some_and(|extension| extension == "rs") {
                        sources.push(Source {
                            package: package.name.clone(),
                            path: path.strip_prefix(package.folder()).unwrap().to_owned(),
                            text: fs::read_to_string(&path).unwrap(),
                        });
                    }
                }
            }
        }
        assert!(sources.len() > 50, "the sources are not where they are looked for");
        sources
    }

    /// Fails with every offender at once.
    fn none(offenders: &[String], rule: &str) {
        assert!(offenders.is_empty(), "{rule}:\n  {}", offenders.join("\n  "));
    }

    #[test]
    fn arrows_between_crates_point_one_way() {
        let arrows: BTreeMap<_, _> =
            ARROWS.iter().map(|(name, product, tests)| (*name, (*product, *tests))).collect();
        let mut offenders = Vec::new();
        for package in packages() {
            let Some((product, tests)) = arrows.get(package.name.as_str()) else {
                offenders.push(format!("{} is not listed", package.name));
                continue;
            };
            for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
                let name = dependency.name.as_str();
                let for_tests = dependency.kind.as_deref() == Some("dev") && tests.contains(&name);
                if !product.contains(&name) && !for_tests {
                    offenders.push(format!("{} -> {name}", package.name));
                }
            }
        }
        none(&offenders, "dependencies between our crates that the design does not have");
    }

    #[test]
    fn a_library_is_used_where_it_belongs() {
        let mut offenders = Vec::new();
        for source in sources().iter().filter(|source| source.is_product()) {
            for (library, homes) in HOMES.iter().filter(|(library, _)| uses(source, library)) {
                let home = homes.iter().find(|(package, _)| *package == source.package);
                if !home.is_some_and(|(_, places)| places.iter().any(|place| is_in(source, place))) {
                    offenders.push(format!("{} names {library}", source.name()));
                }
            }
        }
        none(&offenders, "libraries outside the folders that are theirs");
    }

    /// Whether the product part of a file names the library in a path.
    fn uses(source: &Source, library: &str) -> bool {
        let path = format!("{library}::");
        source.product_lines().any(|line| {
            line.match_indices(&path).any(|(start, _)| {
                let before = line.get(..start).unwrap_or_default().chars().next_back();
                before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
            })
        })
    }

    /// Whether a file is `src/place.rs`, or below `src/place/`.
    fn is_in(source: &Source, place: &str) -> bool {
        let folder = Path::new("src").join(place);
        place == "." || source.path.starts_with(&folder) || source.path == folder.with_extension("rs")
    }

    #[test]
    fn files_are_short() {
        let long = sources().into_iter().map(|source| (source.name(), source.text.lines().count()));
        let long = long.filter(|(_, lines)| *lines > MAX_LINES);
        none(
            &long.map(|(name, lines)| format!("{name}: {lines}")).collect::<Vec<_>>(),
            "files of more than 500 lines",
        );
    }

    #[test]
    fn every_file_says_what_it_is() {
        let silent = sources().into_iter().filter(|source| {
            let first = source.text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
            !first.is_some_and(|line| line.starts_with("//!"))
        });
        none(
            &silent.map(|source| source.name()).collect::<Vec<_>>(),
            "files that do not begin with a module doc (//!)",
        );
    }

    #[test]
    fn names_say_what_is_inside() {
        let empty = sources().into_iter().filter(|source| {
            let parts = source.path.with_extension("");
            parts.iter().any(|part| EMPTY_NAMES.iter().any(|name| part == *name))
        });
        none(
            &empty.map(|source| source.name()).collect::<Vec<_>>(),
            "files or folders with a name that says nothing",
        );
    }

    #[test]
    fn nothing_is_left_undone_and_no_test_is_left_out() {
        // Put together here, so that this file does not break its own rule.
        let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|word| word.concat());
        let attributes = [["#[ig", "nore"], ["#[should_", "panic"]].map(|attribute| attribute.concat());
        let mut offenders = Vec::new();
        for source in sources() {
            for (index, line) in source.text.lines().enumerate() {
                let word = line
                    .split(|c: char| !c.is_alphanumeric())
                    .any(|own| words.iter().any(|word| own == word));
                let attribute =
                    attributes.iter().any(|attribute| line.trim_start().starts_with(attribute.as_str()));
                if word || attribute {
                    offenders.push(format!("{}:{}: {}", source.name(), index + 1, line.trim()));
                }
            }
        }
        none(&offenders, "marks of unfinished work, and tests that are left out");
    }

    #[test]
    fn every_crate_takes_the_lints_of_the_workspace() {
        // Generated code has lints of its own.
        let own: BTreeSet<_> = ["proto"].into();
        let lax =
            packages().into_iter().filter(|package| !own.contains(package.name.as_str())).filter(|package| {
                let manifest = fs::read_to_string(&package.manifest_path).unwrap();
                !manifest.contains("[lints]\nworkspace = true\n")
            });
        none(
            &lax.map(|package| package.name).collect::<Vec<_>>(),
            "crates without the lints of the workspace",
        );
    }
}
