//! Regulatory fees of sales.

use crate::kernel::partner_settings::{PartnerSettings, TradingActivityFee};
use entity::{Money, Quantity, order::Side};

/// Fees of one fill, in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// Fee of the SEC.
    pub sec: Money,
    /// Trading activity fee of FINRA.
    pub trading_activity: Money,
}

impl Fees {
    /// Returns the sum of the fees.
    pub const fn total(self) -> Money {
        Money::from_units(self.sec.units() + self.trading_activity.units())
    }
}

/// Returns the fees of a fill by the rates that are in force at its time; `None` if an amount exceeds 64 bits.
///
/// Only sales are charged. Each fill is one trade, and each fee is rounded up to the cent:
/// - the fee of the SEC is a rate for each million dollars of the price of the sale (15 U.S.C. 78ee, "Section 31"),
/// - the trading activity fee of FINRA is a rate for each share sold, up to a maximum for each trade (FINRA
///   By-Laws, Schedule A, Section 1).
///
/// The fees never exceed the price of the sale, so that a tiny sale earns nothing instead of costing money.
pub fn of(settings: &PartnerSettings, side: Side, quantity: Quantity, amount: Money) -> Option<Fees> {
    if side == Side::Buy {
        return Some(Fees::default());
    }
    let TradingActivityFee { per_share, maximum } = settings.trading_activity_fee;
    let sec = amount.per_million_up(settings.sec_fee)?.min(amount);
    let trading_activity = Money::per_share_up(quantity, per_share)?.min(maximum).min(amount.minus(sec)?);
    Some(Fees { sec, trading_activity })
}

#[cfg(test)]
mod tests {
    use super::*;
    use entity::Rate;

    #[test]
    fn fees_are_rounded_up_to_the_cent() {
        let money = |text: &str| text.parse::<Money>().unwrap();
        // SEC fee for each million, activity fee for each share and its maximum, shares, price of all shares; fees.
        let cases = [
            ("27.80", "0.000166", "8.30", "100", "10000.00", "0.28", "0.02"),
            // Exactly a cent is not rounded up to two.
            ("100", "0.01", "8.30", "1", "100.00", "0.01", "0.01"),
            ("100", "0.01", "8.30", "1.0001", "100.01", "0.02", "0.02"),
            // The maximum of a trade is reached at 50,000 shares.
            ("27.80", "0.000166", "8.30", "49999", "499990.00", "13.90", "8.30"),
            ("27.80", "0.000166", "8.30", "50000", "500000.00", "13.90", "8.30"),
            ("27.80", "0.000166", "8.30", "49900", "499000.00", "13.88", "8.29"),
            ("27.80", "0.000166", "8.30", "1000000", "1000000.00", "27.80", "8.30"),
            ("20.60", "0", "0", "3", "0.05", "0.01", "0.00"),
            ("0", "0", "0", "100", "10000.00", "0.00", "0.00"),
            // Fees never exceed the price.
            ("27.80", "0.000166", "8.30", "0.0001", "0.01", "0.01", "0.00"),
            ("27.80", "0.000166", "8.30", "0.0002", "0.02", "0.01", "0.01"),
        ];
        for (sec_fee, per_share, maximum, quantity, amount, sec, trading_activity) in cases {
            let settings = PartnerSettings {
                sec_fee: sec_fee.parse::<Rate>().unwrap(),
                trading_activity_fee: TradingActivityFee {
                    per_share: per_share.parse().unwrap(),
                    maximum: money(maximum),
                },
                ..PartnerSettings::DEFAULT
            };
            let (quantity, amount) = (quantity.parse().unwrap(), money(amount));
            let fees = Fees { sec: money(sec), trading_activity: money(trading_activity) };
            assert_eq!(of(&settings, Side::Sell, quantity, amount), Some(fees), "{quantity} for {amount}");
            assert_eq!(of(&settings, Side::Buy, quantity, amount), Some(Fees::default()));
        }
    }
}
