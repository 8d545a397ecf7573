import { Component, type ReactNode } from 'react';
import { useLocation } from 'react-router';

interface Props {
  /** What is shown once something below has failed to show itself. */
  instead: ReactNode;
  children: ReactNode;
}

/** Keeps a part that cannot be shown from taking the whole page with it. Another page tries again. */
export function Boundary(props: Props) {
  return <Catcher {...props} place={useLocation().key} />;
}

interface Caught {
  place: string;
  hasFailed: boolean;
}

class Catcher extends Component<Props & { place: string }, Caught> {
  override state: Caught = { place: this.props.place, hasFailed: false };

  static getDerivedStateFromError(): Partial<Caught> {
    return { hasFailed: true };
  }

  static getDerivedStateFromProps({ place }: { place: string }, state: Caught): Caught | null {
    return place === state.place ? null : { place, hasFailed: false };
  }

  override render() {
    return this.state.hasFailed ? this.props.instead : this.props.children;
  }
}
