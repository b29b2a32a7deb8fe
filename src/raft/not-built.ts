/** Says plainly that a part of the contract does not exist yet, so that nobody builds on thin air. */
export class NotBuilt extends Error {
  override readonly name = "NotBuilt";
  /** The method or option, as it is spelled in the contract. */
  readonly feature: string;

  constructor(feature: string) {
    super(`${feature} is not built yet`);
    this.feature = feature;
  }
}
