//! What the service knows: discounts by product, a risk limit by account. Deterministic tables.

use super::wire::Item;

/// How many accounts have a limit; others are refused.
pub const ACCOUNTS: u32 = 4096;
/// How many products have a rule; others cost what the order says.
pub const SKUS: u32 = 1024;

/// The most of one product that one item may order.
pub const MAX_QUANTITY: u32 = 100_000;

/// Why an order that was decoded is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An item of none, or of more than [`MAX_QUANTITY`].
    #[error("quantity {quantity} of sku {sku}; 1 to {MAX_QUANTITY} are allowed")]
    Quantity {
        /// The product.
        sku: u32,
        /// What was asked for.
        quantity: u32,
    },
    /// A free item.
    #[error("sku {sku} has no price")]
    NoPrice {
        /// The product.
        sku: u32,
    },
    /// An account without a limit.
    #[error("account {account} is not known")]
    UnknownAccount {
        /// The account.
        account: u32,
    },
    /// The account's open orders would exceed its limit.
    #[error("account {account} would exceed its limit of {limit_cents} cents")]
    RiskLimit {
        /// The account.
        account: u32,
        /// What it may have open in one window.
        limit_cents: u64,
    },
}

/// What an order costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Price {
    /// Before discounts, in cents.
    pub gross_cents: u64,
    /// Taken off by the products' rules, in cents.
    pub discount_cents: u64,
}

impl Price {
    /// What is to be paid, in cents.
    #[inline]
    #[must_use]
    pub fn net_cents(self) -> u64 {
        self.gross_cents - self.discount_cents
    }
}

/// Discounts by product.
#[derive(Debug)]
pub struct PriceRules {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone, Copy)]
struct Rule {
    /// From this quantity on the discount applies.
    from_quantity: u32,
    /// In hundredths of a percent.
    basis_points: u32,
}

impl PriceRules {
    /// The house's rules: every product has its own threshold and discount, up to 15%.
    #[must_use]
    pub fn standard() -> PriceRules {
        let rule = |sku: u32| Rule {
            from_quantity: 2 + sku % 9,
            basis_points: (sku * 37) % 1500,
        };
        PriceRules {
            rules: (0..SKUS).map(rule).collect(),
        }
    }

    /// Validates and prices items.
    ///
    /// # Errors
    /// The first item that cannot be priced.
    #[inline]
    pub fn price(&self, items: &[Item]) -> Result<Price, Refusal> {
        let mut price = Price::default();
        for &Item {
            sku,
            quantity,
            price_cents,
        } in items
        {
            if quantity == 0 || quantity > MAX_QUANTITY {
                return Err(Refusal::Quantity { sku, quantity });
            }
            if price_cents == 0 {
                return Err(Refusal::NoPrice { sku });
            }
            // At most 10^5 * 2^32 an item: eight of them, and times 1500, stay within a u64.
            let gross = u64::from(quantity) * u64::from(price_cents);
            price.gross_cents += gross;
            if let Some(rule) = self.rules.get(sku as usize)
                && quantity >= rule.from_quantity
            {
                price.discount_cents += gross * u64::from(rule.basis_points) / 10_000;
            }
        }
        Ok(price)
    }
}

/// What each account has open in the current window, against what it may.
#[derive(Debug)]
pub struct RiskBook {
    accounts: Vec<Account>,
    /// Exposure of an older window counts as zero: a settlement forgets all accounts in O(1).
    window: u64,
}

#[derive(Debug, Clone, Copy)]
struct Account {
    limit_cents: u64,
    open_cents: u64,
    window: u64,
}

impl RiskBook {
    /// Limits that fit a window of `window` orders: on average an account opens
    /// `window / ACCOUNTS` orders of about 2,000 dollars in one; its limit is four to eight times
    /// that and a few orders, so that only the busiest accounts are refused, now and then.
    #[must_use]
    pub fn standard(window: u64) -> RiskBook {
        const TYPICAL_ORDER_CENTS: u64 = 200_000;
        let orders_in_hundredths = window.saturating_mul(100) / u64::from(ACCOUNTS);
        let account = |number: u32| {
            let share = 400 + 5 * u64::from(number % 81);
            let orders = (orders_in_hundredths / 100).saturating_mul(share) / 100 + 10;
            Account {
                limit_cents: orders.saturating_mul(TYPICAL_ORDER_CENTS),
                open_cents: 0,
                window: 0,
            }
        };
        RiskBook {
            accounts: (0..ACCOUNTS).map(account).collect(),
            window: 0,
        }
    }

    /// Books `cents` on `account`.
    ///
    /// # Errors
    /// The account is unknown or would exceed its limit; nothing is booked then.
    #[inline]
    pub fn book(&mut self, account: u32, cents: u64) -> Result<(), Refusal> {
        let Some(entry) = self.accounts.get_mut(account as usize) else {
            return Err(Refusal::UnknownAccount { account });
        };
        let open = if entry.window == self.window {
            entry.open_cents
        } else {
            0
        };
        let after = open.saturating_add(cents);
        if after > entry.limit_cents {
            return Err(Refusal::RiskLimit {
                account,
                limit_cents: entry.limit_cents,
            });
        }
        entry.open_cents = after;
        entry.window = self.window;
        Ok(())
    }

    /// Starts a window: every account has nothing open.
    #[inline]
    pub fn settle(&mut self) {
        self.window += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discount_applies_from_its_quantity_on() {
        let rules = PriceRules::standard();
        let item = |quantity| Item {
            sku: 10,
            quantity,
            price_cents: 1000,
        };
        // Sku 10: 370 basis points from 3 pieces on.
        let two = rules.price(&[item(2)]).unwrap();
        let three = rules.price(&[item(3)]).unwrap();
        assert_eq!(
            two,
            Price {
                gross_cents: 2000,
                discount_cents: 0
            }
        );
        assert_eq!(
            three,
            Price {
                gross_cents: 3000,
                discount_cents: 111
            }
        );
        assert_eq!(three.net_cents(), 2889);
    }

    #[test]
    fn the_dearest_possible_order_does_not_overflow() {
        let dear = Item {
            sku: 1023,
            quantity: MAX_QUANTITY,
            price_cents: u32::MAX,
        };
        let price = PriceRules::standard().price(&[dear; 8]).unwrap();
        assert_eq!(
            price.gross_cents,
            8 * u64::from(MAX_QUANTITY) * u64::from(u32::MAX)
        );
    }

    #[test]
    fn orders_that_make_no_sense_are_refused_with_the_reason() {
        let rules = PriceRules::standard();
        let item = |quantity, price_cents| {
            [Item {
                sku: 3,
                quantity,
                price_cents,
            }]
        };
        assert_eq!(
            rules.price(&item(0, 5)),
            Err(Refusal::Quantity {
                sku: 3,
                quantity: 0
            })
        );
        assert!(rules.price(&item(MAX_QUANTITY + 1, 5)).is_err());
        assert_eq!(rules.price(&item(1, 0)), Err(Refusal::NoPrice { sku: 3 }));
    }

    #[test]
    fn an_account_is_refused_at_its_limit_and_free_again_after_the_settlement() {
        let mut book = RiskBook::standard(0);
        let limit = 10 * 200_000;
        assert_eq!(book.book(5, limit), Ok(()));
        assert!(matches!(
            book.book(5, 1),
            Err(Refusal::RiskLimit { account: 5, .. })
        ));
        book.settle();
        assert_eq!(book.book(5, 1), Ok(()));
        assert_eq!(
            book.book(ACCOUNTS, 1),
            Err(Refusal::UnknownAccount { account: ACCOUNTS })
        );
    }
}
