import { Alert, Text, Title } from '@mantine/core';
import { IconScale } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import type { Escrow } from '../../api/wire';
import type { User } from '../../contexts/AuthContext';
import { formatMoney } from '../../escrow/money';
import { called } from '../../escrow/person';
import type { Message } from '../../escrow/talk';
import { moment, span } from '../../escrow/time';
import type { PieceData } from '../../services/websocket';
import { Person } from '../Person';
import classes from './Case.module.css';
import { Conversation } from './Conversation';

interface Props {
  escrow: Escrow;
  user: User;
  piece: PieceData;
  messages: Message[];
}

/** All that a verdict is judged by: the complaint, what was agreed, and what both sides say. */
export function Case({ escrow, user, piece, messages }: Props) {
  const { t } = useTranslation();
  const complaint = messages.findLast((one) => one.kind === 'raised');
  const said = messages.filter((one) => one !== complaint);
  return (
    <div className={classes.case}>
      {piece.dispute && (
        <Alert
          color="red"
          icon={<IconScale aria-hidden />}
          title={t('dispute.case.complaint', { who: called(piece.dispute.raised_by) })}
        >
          <span className="hf-words">{piece.dispute.reason}</span>
          {complaint && (
            <Text size="sm" mt={6}>
              {moment(complaint.time)}
            </Text>
          )}
        </Alert>
      )}
      <section>
        <Title order={3} size="h4" mb="sm">
          {t('dispute.case.agreed')}
        </Title>
        <Agreed escrow={escrow} user={user} piece={piece} />
      </section>
      <section>
        <Title order={3} size="h4" mb="sm">
          {t('dispute.case.said')}
        </Title>
        {said.length === 0 ? (
          <Text c="dimmed">{t('dispute.case.silent')}</Text>
        ) : (
          <Conversation escrow={escrow} user={user} messages={said} />
        )}
      </section>
    </div>
  );
}

function Agreed({ escrow, user, piece }: Omit<Props, 'messages'>) {
  const { t } = useTranslation();
  const money = (amount_minor: number) => formatMoney(amount_minor, escrow.currency);
  const person = (id: string) => <Person id={id} isYou={id === user.user_id} />;
  return (
    <dl className={classes.facts}>
      <Fact name={t('dispute.case.what')}>
        <span className="hf-words">
          {[escrow.title, escrow.description].filter(Boolean).join('\n')}
        </span>
      </Fact>
      {piece !== escrow && escrow.milestones.length > 0 && (
        <Fact name={t('dispute.case.milestone')}>{piece.title}</Fact>
      )}
      <Fact name={t('dispute.case.price')}>{money(piece.amount_minor)}</Fact>
      <Fact name={t('dispute.case.held')}>{money(piece.held_minor)}</Fact>
      <Fact name={t('dispute.case.buyer')}>{person(escrow.buyer_id)}</Fact>
      <Fact name={t('dispute.case.seller')}>{person(escrow.seller_id)}</Fact>
      <Fact name={t('dispute.case.inspect')}>{span(escrow.terms.inspection_period_s)}</Fact>
      <Fact name={t('dispute.case.since')}>{moment(escrow.created_at)}</Fact>
      <Fact name={t('dispute.case.confirmed')}>
        {piece.confirmations.length === 0
          ? t('dispute.case.nobody')
          : piece.confirmations
              .map(({ party, time }) => {
                const who = called(party === 'buyer' ? escrow.buyer_id : escrow.seller_id);
                return time ? t('dispute.case.by', { who, time: moment(time) }) : who;
              })
              .join('; ')}
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
