/** The package ships no types. */
declare module 'marked-man' {
  const roff: import('marked').MarkedExtension;
  export default roff;
}
