/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/command.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    gal_file_explain_cuts();
    return gal_cli_main(argc, argv, environ, stdin, stdout, stderr);
}
