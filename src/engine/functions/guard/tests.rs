use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray, StringViewArray};
use datafusion::arrow::datatypes::Field;
use datafusion::scalar::ScalarValue;

use super::*;

/// The sizes that are expected of a call with these columns.
#[track_caller]
fn check_sizes(makes: Makes, columns: Vec<Column>, rows: usize, expected: &[u64]) {
    let call = Call { rows, columns };
    assert_eq!(call.sizes(makes).unwrap(), expected);
}

fn texts_of(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn same(text: &str) -> Column {
    Column::Same(texts_of(&[text]))
}

fn counts(values: &[i64]) -> Column {
    Column::Each(Arc::new(Int64Array::from(values.to_vec())))
}

#[test]
fn what_is_made_out_of_numbers_is_known_before() {
    check_sizes(
        Makes::Repeated,
        vec![same("ab"), counts(&[3, 0, -1])],
        3,
        &[6, 0, 0],
    );
    check_sizes(
        Makes::Padded,
        vec![same("ab"), counts(&[3, 0])],
        2,
        &[12, 2],
    );
    check_sizes(
        Makes::Spaces,
        vec![counts(&[i64::MAX])],
        1,
        &[i64::MAX as u64],
    );
    check_sizes(
        Makes::Series,
        vec![counts(&[1, 5]), counts(&[10, 1])],
        2,
        &[80, 40],
    );
    let most = vec![counts(&[i64::MIN]), counts(&[i64::MAX])];
    check_sizes(Makes::Series, most, 1, &[u64::MAX]);
    check_sizes(
        Makes::Formatted,
        vec![same("%5d %100s")],
        1,
        &[9 + 105 + 400],
    );
}

#[test]
fn what_is_made_out_of_values_is_never_more_than_said() {
    let view: ArrayRef = Arc::new(StringViewArray::from(vec![
        "abc",
        "a longer text than fits",
    ]));
    check_sizes(
        Makes::Together(2),
        vec![Column::Each(view), same("xy")],
        2,
        &[10, 50],
    );
    // Only what could not be allowed otherwise is counted.
    let plain = Makes::Replaced { is_regex: false };
    check_sizes(
        plain,
        vec![same("a,b"), same(","), same("--")],
        1,
        &[3 + 4 * 2],
    );
    let long = "x,".repeat(100);
    let replacement = "y".repeat(1 << 20);
    let sizes = [200 + 100 * (1_u64 << 20)];
    check_sizes(
        plain,
        vec![same(&long), same(","), same(&replacement)],
        1,
        &sizes,
    );
    let regex = Makes::Replaced { is_regex: true };
    check_sizes(
        regex,
        vec![same("ab"), same("(.)"), same("$1$1")],
        1,
        &[6 + 3 * 4],
    );
}

#[test]
fn a_call_beyond_its_bound_is_refused_before_it_runs() {
    let repeat = datafusion::functions::string::repeat();
    let call = |times: i64| {
        let text = ScalarValue::Utf8(Some("x".to_owned()));
        let arguments = [text, ScalarValue::Int64(Some(times))];
        let field = |value: &ScalarValue| Arc::new(Field::new("a", value.data_type(), true));
        guarded(Arc::clone(&repeat))
            .inner()
            .invoke_with_args(ScalarFunctionArgs {
                arg_fields: arguments.iter().map(field).collect(),
                args: arguments.map(ColumnarValue::Scalar).to_vec(),
                number_rows: 1,
                return_field: Arc::new(Field::new("r", DataType::Utf8, true)),
                config_options: Arc::default(),
            })
    };
    assert!(call(16 << 20).is_ok());
    let refused = call(i64::MAX).unwrap_err().to_string();
    assert!(refused.contains("repeat would need"), "{refused}");
    assert!(refused.contains("memory"), "{refused}");
}
