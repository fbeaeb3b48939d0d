/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <unistd.h>

int main(int argc, char **argv)
{
    return gal_cli_main(argc, argv, environ, stdin, stdout, stderr);
}
