/* SPDX-License-Identifier: Apache-2.0 */
/* The Python modules of src/cli/convert, part of the binary: `galley init --convert` writes them
 * into its temporary directory and runs main.py in a sandbox. */
#ifndef GAL_CLI_CONVERT_H
#define GAL_CLI_CONVERT_H

#include <stddef.h>

extern const unsigned char gal_asset_convert_main[];
extern const size_t gal_asset_convert_main_size;
extern const unsigned char gal_asset_convert_common[];
extern const size_t gal_asset_convert_common_size;
extern const unsigned char gal_asset_convert_pickles[];
extern const size_t gal_asset_convert_pickles_size;
extern const unsigned char gal_asset_convert_classic[];
extern const size_t gal_asset_convert_classic_size;
extern const unsigned char gal_asset_convert_boosters[];
extern const size_t gal_asset_convert_boosters_size;
extern const unsigned char gal_asset_convert_neural[];
extern const size_t gal_asset_convert_neural_size;
extern const unsigned char gal_asset_convert_tensors[];
extern const size_t gal_asset_convert_tensors_size;

#endif
