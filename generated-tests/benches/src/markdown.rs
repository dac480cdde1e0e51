//! Tables as Markdown, for the README.

use std::{fs, process::Command};

use crate::{measure::Row, times};

/// A line with the date of the measurement and the processor.
pub fn heading() -> String {
    let date = Command::new("date").args(["-u", "+%F"]).output().ok();
    let date = date.map_or_else(|| "today".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map_or("unknown processor", |(_, model)| model);
    format!("{date}, {model}")
}

/// One table: a line for each row, a column for each contender, as multiples of the hand-written loop.
pub fn print(rows: &[Row]) {
    let mut columns: Vec<&str> = Vec::new();
    for contender in rows.iter().flat_map(|row| row.contenders.iter().skip(1)) {
        if !columns.contains(&contender.name) {
            columns.push(contender.name);
        }
    }
    println!("| work | by hand | {} |", columns.join(" | "));
    println!("|---|---|{}", "---|".repeat(columns.len()));
    for row in rows {
        let times = times::of(row);
        let Some((hand, others)) = times.split_first() else { continue };
        print!("| {} | {} ns/{} |", row.title(), digits(*hand), row.unit);
        for column in &columns {
            let place = row.contenders.iter().skip(1).position(|contender| contender.name == *column);
            match place.and_then(|place| others.get(place)) {
                Some(time) => print!(" {} |", digits(time / hand)),
                None => print!(" - |"),
            }
        }
        println!();
    }
}

/// How much two threads do in the time in which one thread does one part.
pub fn print_scaling([one, two]: &[Row; 2]) {
    println!("| who | {}, ns/{} | {}, times as many |", one.work, one.unit, two.work);
    println!("|---|---|---|");
    for ((contender, one), two) in one.contenders.iter().zip(times::of(one)).zip(times::of(two)) {
        println!("| {} | {} | {} |", contender.name, digits(one), digits(one / two));
    }
}

/// The number with its significant digits.
pub fn digits(value: f64) -> String {
    match value {
        _ if value < 0.1 => format!("{value:.3}"),
        _ if value < 10.0 => format!("{value:.2}"),
        _ if value < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
