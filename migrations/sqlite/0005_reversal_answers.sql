-- The code of the issuer's last answer to an attempt at a reversal or a delivery, in the form of the 1987 version.
ALTER TABLE obligation ADD COLUMN answered TEXT;
