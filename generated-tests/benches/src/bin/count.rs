//! Counts instructions, which other programs on the machine do not affect: each job runs once under callgrind.

use std::{env, io, process::Command};

use tablewright_benches::rows;

/// The environment variable that tells a child process which row and which contender to run.
const CHILD: &str = "TABLEWRIGHT_COUNT";

fn main() -> io::Result<()> {
    let rows = rows::all();
    if let Ok(child) = env::var(CHILD) {
        let (row, contender) = child.split_once('/').expect("as the parent writes it");
        let number = |text: &str| text.parse::<usize>().expect("as the parent writes it");
        rows[number(row)].contenders[number(contender)].run(1);
        return Ok(());
    }
    let wanted: Vec<String> = env::args().skip(1).collect();
    println!("| work | by hand, instructions | multiples of that |\n|---|---|---|");
    for (number, row) in rows.iter().enumerate() {
        if !row.is(&wanted) {
            continue;
        }
        let mut hand = None;
        print!("| {}", row.name());
        for (place, contender) in row.contenders.iter().enumerate() {
            let each = count(number, place)? as f64 / row.units as f64;
            match hand {
                None => print!(" | {each:.2}/{} |", row.unit),
                Some(hand) => print!(" {} {:.2} |", contender.name, each / hand),
            }
            hand = hand.or(Some(each));
        }
        println!();
    }
    Ok(())
}

/// The instructions that one run of a contender takes.
fn count(row: usize, contender: usize) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=tablewright_benches::measure::measured*")
        .arg(env::current_exe()?)
        .env(CHILD, format!("{row}/{contender}"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let counted = text.lines().find_map(|line| line.split_once("Collected : "));
    let counted = counted.and_then(|(_, number)| number.trim().parse().ok());
    counted.ok_or_else(|| io::Error::other(text))
}
