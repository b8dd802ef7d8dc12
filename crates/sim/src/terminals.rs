//! A gentle load of simulated terminals, for trying the switch out.
