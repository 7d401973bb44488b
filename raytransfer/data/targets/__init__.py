"""What encoders are transferred to: one file per data set, and how a data set is prepared."""
