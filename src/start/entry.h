#pragma once
/// The door between the launcher `lmms` and liblmms.so, which it opens at run time.

/// The program: reads the command line and the environment, and ends the process with its exit
/// code. Defined in app/main.cpp.
extern "C" [[noreturn]] void lmms_main(int argc, char** argv);
