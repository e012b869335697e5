/** How images in the store are named on the command line. */
export const namesHelp = `
An image in the store is meant by a name (alpine, localhost/app:1), a name with a digest, or by its id, of which
the beginning is enough.
`;

/** Where images can come from. */
export const sourcesHelp = `
Where images come from:
  alpine, ghcr.io/owner/app:1, HOST:5000/app@sha256:…   a registry
  oci:DIR[:TAG]                                         an OCI layout directory
  oci-archive:FILE[:TAG]                                the same in one file
  docker-archive:FILE[:NAME]                            what docker save writes
`;

/** Where images can go to. */
export const targetsHelp = `
Where images go to:
  ghcr.io/owner/app:1, HOST:5000/app:1   a registry
  oci:DIR[:TAG]                          an OCI layout directory
  oci-archive:FILE[:TAG]                 the same in one new file
  docker-archive:FILE[:NAME]             what docker load reads (not from convert)
`;

/** What the columns of `image ls` say. */
export const sizesHelp = `
size    bytes of all files of the image
own     disk space that its removal gives back
shared  disk space that other images need, too
`;

/** What `image df` says. */
export const usageHelp: string = `${sizesHelp}The ratio is that of all sizes to what the store takes on disk.
`;

/** What the exit codes of commands about images say. */
export const exitCodeHelp = `
Exit codes:
  0    all well
  1    the image could not be transferred, or is damaged; verify found problems; gc has to wait for a pull
  2    wrong flags, or no image reference
  3    the registry refused the credentials, or this machine cannot do it (longshore doctor tells why)
  4    there is no such image, in the registry or in the store
  70   something broke
  130  interrupted; nothing is left of what was begun`;
