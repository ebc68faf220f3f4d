// Registers pair_style gapfit. The interface of `plugin load` is declared here, because
// distributions of LAMMPS do not always come with its header.
#include <string>

#include "error.h"
#include "lammps.h"

#include "pair_gapfit.h"

namespace {

struct Plugin {
    const char *version, *style, *name, *info, *author;
    union {
        void *(*without_arguments)(void *);
        void *(*with_arguments)(void *, int, char **);
    } creator;
    void *handle;
};

using Register = void (*)(Plugin *, void *);

// Messages name types by numbers in MPICH and its kin, by pointers in Open MPI. The other
// way round, the loader finds that symbols of Open MPI are missing.
void require_same_mpi(LAMMPS_NS::LAMMPS *lmp) {
#ifndef OPEN_MPI
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    if (std::string(text).find("Open MPI") != std::string::npos)
        lmp->error->all(FLERR,
                        "LAMMPS runs with Open MPI, and the gapfit plugin was compiled "
                        "with the mpi.h of another MPI: build it again with "
                        "--mpi-headers and the folder of Open MPI's");
#else
    (void)lmp;
#endif
}

void *create(void *lmp) {
    return new LAMMPS_NS::PairGapfit(static_cast<LAMMPS_NS::LAMMPS *>(lmp));
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(
    void *lmp, void *handle, void *registration) {
    require_same_mpi(static_cast<LAMMPS_NS::LAMMPS *>(lmp));
    Plugin plugin;
    plugin.version = GAPFIT_LAMMPS_VERSION;
    plugin.style = "pair";
    plugin.name = "gapfit";
    plugin.info = "potentials fitted by gapfit, version " GAPFIT_VERSION;
    plugin.author = "the gapfit developers";
    plugin.creator.without_arguments = &create;
    plugin.handle = handle;
    reinterpret_cast<Register>(registration)(&plugin, lmp);
}
