//! The command line of the bench.

use crate::shell::Outcome;
use std::path::PathBuf;

const USAGE: &str = "use: bench [quick|full|smoke|report] [--ours PROGRAM] [--rounds NUMBER], or: bench memory [MIB] \
                     [ROUNDS] [FOLDER] [--ours PROGRAM], or: bench crash [ROUNDS|report] [--ours PROGRAM], \
                     or: bench run [ROUNDS] [--ours PROGRAM]";

/// What was asked for.
#[derive(Debug, Default)]
pub struct Arguments {
    words: Vec<String>,
    /// Our program, built already.
    pub ours: Option<PathBuf>,
    /// Rounds instead of those of the plan.
    pub rounds: Option<usize>,
}

impl Arguments {
    /// Takes options from anywhere between the words.
    pub fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut found = Self::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--ours" => found.ours = Some(rest.next().ok_or(USAGE)?.into()),
                "--rounds" => {
                    let rounds = rest.next().and_then(|number| number.parse().ok());
                    found.rounds = Some(rounds.filter(|rounds| *rounds > 0).ok_or(USAGE)?);
                }
                option if option.starts_with('-') => return Err(USAGE.into()),
                word => found.words.push(word.to_owned()),
            }
        }
        Ok(found)
    }

    /// The first word, or `quick`.
    pub fn plan(&self) -> &str {
        self.words.first().map_or("quick", String::as_str)
    }

    /// The words behind it.
    pub fn rest(&self) -> &[String] {
        self.words.get(1..).unwrap_or_default()
    }

    /// Fails when there are any.
    pub fn no_more(&self) -> Outcome {
        if self.rest().is_empty() { Ok(()) } else { Err(USAGE.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use std::path::Path;

    fn parse(line: &str) -> Option<Arguments> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Arguments::parse(&words).ok()
    }

    #[test]
    fn options_stand_anywhere_and_the_plan_is_quick_unless_named() {
        let none = parse("").unwrap();
        assert_eq!((none.plan(), none.ours.is_none(), none.rounds), ("quick", true, None));
        let all = parse("--rounds 3 full --ours bin/x").unwrap();
        assert_eq!(
            (all.plan(), all.ours.as_deref(), all.rounds),
            ("full", Some(Path::new("bin/x")), Some(3))
        );
        assert!(all.no_more().is_ok());
        assert_eq!(parse("memory 64 1").unwrap().rest(), ["64", "1"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in ["--ours", "--rounds", "--rounds x", "--rounds 0", "--fast"] {
            assert!(parse(line).is_none(), "{line}");
        }
        assert!(parse("full quick").unwrap().no_more().is_err());
    }
}
