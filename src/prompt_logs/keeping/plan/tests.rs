use super::*;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

fn noon() -> DateTime<Utc> {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// Files of one day, a year before `noon` or on its day, written long ago: `least-greatest` keys and size.
fn files(day: &str, files: &[(&str, u64)]) -> Vec<LogFile> {
    let mut files: Vec<LogFile> = files
        .iter()
        .enumerate()
        .map(|(number, (keys, size))| {
            let (least, greatest) = keys.split_once('-').unwrap();
            let keys = Some((least.to_owned(), greatest.to_owned()));
            LogFile::for_test(&format!("{number}"), *size, day.parse().ok(), keys)
        })
        .collect();
    files.sort_by(|a, b| a.least_key().cmp(b.least_key()));
    files
}

#[track_caller]
fn check(files: &[LogFile], zeal: Zeal, expected: &[&str]) {
    let chosen = next(files, zeal, noon()).unwrap_or_default();
    let mut chosen: Vec<&str> = chosen.iter().map(|file| file.path.as_str()).collect();
    chosen.sort_unstable();
    assert_eq!(chosen, expected);
}

const TODAY: &str = "2026-11-24";
const PAST: &str = "2026-11-20";

#[test]
fn today_eight_files_of_a_level_are_merged_and_seven_are_not() {
    let seven = [("a-z", KIB); 7];
    check(&files(TODAY, &seven), Zeal::Due, &[]);
    let eight = [("a-z", KIB); 8];
    let all = ["0", "1", "2", "3", "4", "5", "6", "7"];
    check(&files(TODAY, &eight), Zeal::Due, &all);
    // Tomorrow's clocks are ahead of ours: a day that is not over either.
    check(&files("2026-11-25", &seven), Zeal::Due, &[]);
    check(&files(TODAY, &[("a-z", 40 * MIB); 30]), Zeal::Due, &[]);
}

#[test]
fn smaller_files_go_along_and_larger_ones_do_not() {
    let mut mixed = vec![("a-z", KIB); 3];
    mixed.extend([("a-z", MIB); 8]);
    mixed.push(("a-z", 20 * MIB));
    let expected = ["0", "1", "10", "2", "3", "4", "5", "6", "7", "8", "9"];
    check(&files(TODAY, &mixed), Zeal::Due, &expected);
}

#[test]
fn a_day_that_is_over_is_merged_into_files_that_do_not_overlap() {
    check(
        &files(PAST, &[("a-c", KIB), ("d-f", KIB)]),
        Zeal::Due,
        &["0", "1"],
    );
    let large = [
        ("a-c", 50 * MIB),
        ("d-k", 50 * MIB),
        ("h-m", 50 * MIB),
        ("n-p", 50 * MIB),
    ];
    check(&files(PAST, &large), Zeal::Due, &["1", "2"]);
    check(&files(PAST, &large[2..]), Zeal::Due, &[]);
    check(&files(TODAY, &large), Zeal::Due, &[]);
    check(&files(TODAY, &large), Zeal::All, &["1", "2"]);
    // Without statistics a file may hold any key.
    let mut unknown = files(PAST, &large[2..]);
    unknown.insert(0, LogFile::for_test("x", 50 * MIB, PAST.parse().ok(), None));
    check(&unknown, Zeal::Due, &["0", "1", "x"]);
}

#[test]
fn a_day_that_was_written_just_now_is_not_at_rest() {
    let mut late = files(PAST, &[("a-c", 50 * MIB), ("b-b", KIB)]);
    late[1].modified = (noon() - TimeDelta::minutes(10)).timestamp_millis();
    check(&late, Zeal::Due, &[]);
    late[1].modified = (noon() - TimeDelta::minutes(11)).timestamp_millis();
    check(&late, Zeal::Due, &["0", "1"]);
}

#[test]
fn days_are_merged_by_themselves_the_newest_first_and_what_has_no_day_never() {
    let mut all = files(PAST, &[("a-c", KIB), ("a-c", KIB)]);
    all.extend(files("2026-11-21", &[("a-c", 2 * KIB), ("a-c", 2 * KIB)]));
    all.extend(files("none", &[("a-c", KIB), ("a-c", KIB)]));
    let chosen = next(&all, Zeal::Due, noon()).unwrap();
    assert!(chosen.len() == 2 && chosen.iter().all(|file| file.size == 2 * KIB));
    check(&all[4..], Zeal::All, &[]);
}

/// Writes single logs onto `days` days and merges after every tenth; returns the most files there were and how often a
/// log was rewritten.
fn simulate(days: u64) -> (usize, u64) {
    const LOG: u64 = 4 * KIB;
    let mut all = Vec::new();
    let (mut most, mut merged, mut state) = (0, 0, 1_u64);
    for number in 0..10_000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let age = i64::try_from((state >> 33) % days).unwrap();
        let day = noon().date_naive() - TimeDelta::days(age);
        let keys = Some(("a".to_owned(), "z".to_owned()));
        let mut file = LogFile::for_test(&number.to_string(), LOG, Some(day), keys);
        file.modified = noon().timestamp_millis();
        all.push(file);
        if number % 10 == 9 {
            while let Some(chosen) = next(&all, Zeal::Due, noon()) {
                all.retain(|file| chosen.iter().all(|chosen| chosen.path != file.path));
                let mut file = chosen[0].clone();
                file.size = chosen.iter().map(|file| file.size).sum();
                merged += file.size;
                all.push(file);
            }
            most = most.max(all.len());
        }
    }
    (most, merged / (10_000 * LOG))
}

#[test]
fn ten_thousand_single_writes_leave_fewer_than_a_hundred_files_and_are_rewritten_a_few_times() {
    for days in [1, 2, 7, 30] {
        let (most, rewritten) = simulate(days);
        assert!(most < 100, "{most} files on {days} days");
        assert!(rewritten < 12, "{rewritten} times on {days} days");
    }
}

#[test]
fn a_merge_holds_what_memory_allows_but_at_least_two_files() {
    let at_once = |keys: &[(&str, u64)], budget: u64| {
        let files = files(PAST, keys);
        let sized: Vec<(&LogFile, u64)> = files.iter().map(|file| (file, file.size)).collect();
        within(&sized, budget)
    };
    // Four that overlap: as many as fit, the cheapest first.
    let overlap = [("a-z", 9), ("b-z", 1), ("c-z", 2), ("d-z", 3)];
    assert_eq!(at_once(&overlap, 6), [1, 2, 3]);
    assert_eq!(at_once(&overlap, 15), [0, 1, 2, 3]);
    assert_eq!(at_once(&overlap, 0), [1, 2]);
    // Two chains of files that follow each other: only one of each is held at a time.
    let chains = [("a-b", 5), ("a-d", 5), ("c-d", 5), ("e-f", 5), ("e-f", 5)];
    assert_eq!(at_once(&chains, 10), [0, 1, 2, 3, 4]);
}
