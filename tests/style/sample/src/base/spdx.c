/* no licence here: EXPECT spdx */
int gal_nothing;
