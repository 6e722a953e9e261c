//! What a customer may answer about herself, in the documented words.

use async_graphql::Enum;

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $text:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
            pub enum $name { $($(#[$value_doc])* $value,)* }

            impl $name {
                pub fn text(self) -> String {
                    match self { $(Self::$value => $text,)* }.to_owned()
                }
            }
        )*
    };
}

options! {
    /// Marital status.
    MaritalStatus {
        /// Never married.
        Single = "single",
        /// Divorced.
        Divorced = "divorced",
        /// Married.
        Married = "married",
        /// Widowed.
        Widowed = "widowed",
    }
    /// Whether and how a customer is employed.
    EmploymentStatus {
        /// By others or by herself.
        Employed = "employed / self-employed",
        /// Retired.
        Retired = "retired",
        /// Student.
        Student = "student",
        /// Not employed.
        NotEmployed = "not employed",
    }
    /// Yearly income, or net worth in all, in US dollars.
    WealthBand {
        /// Below 25,000.
        Under25K = "$0 - $24,999",
        /// From 25,000 to 99,999.
        From25KTo100K = "$25,000 - $99,999",
        /// From 100,000 to 199,999.
        From100KTo200K = "$100,000 - $199,999",
        /// 200,000 and more.
        Over200K = "$200,000+",
    }
    /// Net worth that can be sold quickly, in US dollars.
    LiquidWealthBand {
        /// Below 5,000.
        Under5K = "$0 - $4,999",
        /// From 5,000 to 99,999.
        From5KTo100K = "$5,000 - $99,999",
        /// From 100,000 to 199,999.
        From100KTo200K = "$100,000 - $199,999",
        /// 200,000 and more.
        Over200K = "$200,000+",
    }
    /// What investing is for.
    InvestmentObjective {
        /// Keeping what there is.
        CapitalPreservation = "capital preservation",
        /// Growth.
        Growth = "growth",
        /// Income.
        Income = "income",
        /// Speculation.
        Speculation = "speculation",
    }
    /// How much investing was done before.
    InvestmentExperience {
        /// None.
        None = "none",
        /// Limited.
        Limited = "limited",
        /// Good.
        Good = "good",
        /// Extensive.
        Extensive = "extensive",
    }
    /// How much risk is taken.
    RiskTolerance {
        /// Little.
        Conservative = "conservative",
        /// Some.
        Moderate = "moderate",
        /// Much.
        Aggressive = "aggressive",
    }
}
