//! Prints the table: every row, this library and the others as multiples of the hand-written loop in the same run.

use tablewright_benches::{markdown, measure::Row, rows, times};

fn main() {
    let (flags, wanted): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let chosen = |rows: Vec<Row>| rows.into_iter().filter(|row| row.is(&wanted)).collect::<Vec<_>>();
    match flags.first().map(String::as_str) {
        None => lines(&chosen(rows::all())),
        Some("--markdown") => tables(&chosen(rows::all())),
        Some("--sizes") => tables(&chosen(rows::sizes())),
        Some("--threads") => {
            println!("{}\n", markdown::heading());
            markdown::print_scaling(&rows::threads());
        }
        Some("--invalidations") => {
            println!("| who | to map 1 GiB of pages | to unmap it |\n|---|---|---|");
            for (name, [map, unmap]) in rows::invalidations() {
                println!("| {name} | {map} | {unmap} |");
            }
        }
        Some(unknown) => {
            eprintln!(
                "there is no `{unknown}`: say --markdown, --sizes, --threads, --invalidations, or nothing for plain lines"
            );
            std::process::exit(2);
        }
    }
}

/// A line for each row, with the limit.
fn lines(rows: &[Row]) {
    for row in rows {
        let times = times::of(row);
        let hand = times.first().copied().unwrap_or(f64::NAN);
        print!("| {} | {hand:.3} ns/{} | {:.2} |", row.name(), row.unit, row.limit);
        for (contender, time) in row.contenders.iter().zip(&times).skip(1) {
            print!(" {} {:.2} |", contender.name, time / hand);
        }
        println!();
    }
}

/// A table for each format.
fn tables(rows: &[Row]) {
    println!("{}", markdown::heading());
    for rows in rows.chunk_by(|one, next| one.format == next.format) {
        println!("\n{}\n", rows.first().map_or("", |row| row.format));
        markdown::print(rows);
    }
}
