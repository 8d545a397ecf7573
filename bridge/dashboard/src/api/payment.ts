/** Payments: Razorpay Checkout with real keys, the sandbox's page without. */
import { useCallback, useEffect, useRef } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { commandPath, useCommand } from './command';
import { useConfig } from './query';
import { Fault } from './http';
import type { Escrow } from './wire';
import { language } from '../words';

const SANDBOX_KEY = 'rzp_test_sandbox';
const CHECKOUT_SCRIPT = 'https://checkout.razorpay.com/v1/checkout.js';

interface StartedPayment {
  order_id: string;
  key_id: string;
  amount_minor: string;
  currency: string;
}

/** What Checkout and the sandbox return after a payment. */
interface Proof {
  razorpay_order_id: string;
  razorpay_payment_id: string;
  razorpay_signature: string;
}

interface CheckoutOptions {
  key: string;
  order_id: string;
  amount: string;
  currency: string;
  name: string;
  description: string;
  handler: (proof: Proof) => void;
}

declare global {
  interface Window {
    Razorpay?: new (options: CheckoutOptions) => { open(): void };
  }
}

/** Starts a payment, then opens Checkout or the sandbox's page. */
export function usePay(escrow: Escrow) {
  const config = useConfig();
  const start = useCommand<StartedPayment>();
  const confirm = useConfirmPayment(escrow.escrow_id);
  const pay = async () => {
    const started = await start.mutateAsync({
      path: commandPath(escrow.escrow_id, 'pay'),
      body: {},
    });
    const sandbox = config.data?.sandbox_url;
    if (started.key_id.startsWith(SANDBOX_KEY) && sandbox) {
      return location.assign(sandboxAddress(sandbox, started.order_id, escrow));
    }
    await openCheckout(started, escrow.title, confirm.send);
  };
  return { pay, isPending: start.isPending || confirm.isPending, error: start.error ?? confirm.error };
}

/** Confirms the payment that the sandbox's page put into the address when it redirected back. */
export function useReturnedPayment(escrowId: string) {
  const [params] = useSearchParams();
  const navigate = useNavigate();
  const { send, error, isPending } = useConfirmPayment(escrowId);
  const taken = useRef('');
  const payment_id = params.get('razorpay_payment_id') ?? '';
  const hasFailed = params.has('razorpay_error');
  useEffect(() => {
    if (!payment_id || taken.current === payment_id) return;
    taken.current = payment_id;
    send({
      razorpay_order_id: params.get('razorpay_order_id') ?? '',
      razorpay_payment_id: payment_id,
      razorpay_signature: params.get('razorpay_signature') ?? '',
    });
    void navigate({ search: '' }, { replace: true });
  }, [payment_id, params, navigate, send]);
  return { error, isPending, hasFailed };
}

function useConfirmPayment(escrowId: string) {
  const { mutate, error, isPending } = useCommand();
  const send = useCallback(
    (proof: Proof) =>
      mutate({
        path: commandPath(escrowId, 'confirmPayment'),
        body: {
          order_id: proof.razorpay_order_id,
          payment_id: proof.razorpay_payment_id,
          signature: proof.razorpay_signature,
        },
        key: `checkout-${proof.razorpay_payment_id}`,
      }),
    [mutate, escrowId],
  );
  return { send, error, isPending };
}

function sandboxAddress(base: string, orderId: string, { title, seller_id }: Escrow): string {
  const url = new URL(`/sandbox/checkout/${encodeURIComponent(orderId)}`, base);
  url.searchParams.set('return_url', location.origin + location.pathname);
  url.searchParams.set('title', title);
  url.searchParams.set('payee', seller_id);
  url.searchParams.set('language', language());
  return url.href;
}

/** Throws Fault when Razorpay's script cannot be loaded. */
async function openCheckout(
  started: StartedPayment,
  title: string,
  handler: (proof: Proof) => void,
): Promise<void> {
  if (!window.Razorpay) await loadScript(CHECKOUT_SCRIPT);
  if (!window.Razorpay) throw unreachable();
  new window.Razorpay({
    key: started.key_id,
    order_id: started.order_id,
    amount: started.amount_minor,
    currency: started.currency,
    name: 'Holdfast',
    description: title,
    handler,
  }).open();
}

function loadScript(address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = address;
    script.onload = () => resolve();
    script.onerror = () => {
      script.remove();
      reject(unreachable());
    };
    document.head.append(script);
  });
}

function unreachable(): Fault {
  return new Fault('Razorpay’s payment page did not load.', 'CHECKOUT_UNREACHABLE', 0);
}
