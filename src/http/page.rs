//! Lists in pages and in an order, as the published API asks for them: `limit`, `continuation_token`, `sort_by`.

use std::cmp::Ordering;

use super::fields::{self, Fields, Flaw};

/// More than any list holds, and a number for every client.
const TOKEN_MAX: usize = 2_147_483_647;

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    /// How many of the list came before.
    skip: usize,
}

impl Page {
    /// At most, and by default, `max` at once.
    pub(super) fn of(query: &mut Fields, max: usize) -> Self {
        let limit = query.optional("limit", fields::last(fields::number(0..=max)));
        let any = fields::number(0..=TOKEN_MAX);
        let skip = query.optional("continuation_token", fields::last(any));
        Self {
            limit: limit.unwrap_or(max),
            skip: skip.unwrap_or(0),
        }
    }

    /// This page of `all`, and the continuation token of the next one, if any.
    pub(super) fn cut<T>(&self, all: Vec<T>) -> (Vec<T>, Option<usize>) {
        let end = self.skip.saturating_add(self.limit);
        let next = (end < all.len()).then_some(end);
        let page = all.into_iter().skip(self.skip).take(self.limit);
        (page.collect(), next)
    }
}

/// One `sort_by`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    field: &'static str,
    descending: bool,
}

/// Every `sort_by`, each `+` or `-` and one of these fields. A plus that was not encoded arrives as a space.
pub(super) fn orders<const N: usize>(query: &mut Fields, names: [&'static str; N]) -> Vec<Order> {
    let read = |text: &str| {
        let (descending, name) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+' | b' ') => (false, &text[1..]),
            _ => (false, text),
        };
        let field = names.into_iter().find(|field| *field == name);
        let field = field.ok_or_else(|| {
            let names = names.join(", ");
            Flaw::new(format!("Input should be + or - and one of {names}"))
        })?;
        Ok(Order { field, descending })
    };
    query
        .optional("sort_by", fields::each(read))
        .unwrap_or_default()
}

/// Sorts by the first order, ties by the next one, and so on; what is equal in all keeps its place.
pub(super) fn sort<T>(list: &mut [T], orders: &[Order], key: impl Fn(&T, &str) -> String) {
    list.sort_by(|a, b| {
        let compared = orders.iter().map(|order| {
            let ascending = key(a, order.field).cmp(&key(b, order.field));
            if order.descending {
                ascending.reverse()
            } else {
                ascending
            }
        });
        compared.fold(Ordering::Equal, Ordering::then)
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_put_together_are_the_list() {
        let mut got = Vec::new();
        let mut token = Some(0);
        while let Some(skip) = token {
            let (page, next) = Page { limit: 3, skip }.cut((0..8).collect());
            got.extend(page);
            token = next;
        }
        assert_eq!(got, (0..8).collect::<Vec<_>>());
        assert_eq!(Page { limit: 3, skip: 99 }.cut(vec![1]), (vec![], None));
        assert_eq!(Page { limit: 0, skip: 0 }.cut(vec![1]), (vec![], Some(0)));
    }

    #[test]
    fn later_orders_break_ties() {
        let mut query = Fields::of_query(Some("sort_by=-a&sort_by=+b&sort_by=%2Bb&sort_by=b"));
        let orders = orders(&mut query, ["a", "b"]);
        assert!(query.finish(Some(())).is_ok());
        assert_eq!(orders.len(), 4);
        let mut list = ["1x", "2y", "2x", "1y"];
        sort(&mut list, &orders, |text, field| match field {
            "a" => text[..1].to_owned(),
            _ => text[1..].to_owned(),
        });
        assert_eq!(list, ["2x", "2y", "1x", "1y"]);
    }
}
